//! Table tests of the plan (see the files below).
