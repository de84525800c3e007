//! The HTTP front: accepts, routes, queues, dispatches to workers, answers.
