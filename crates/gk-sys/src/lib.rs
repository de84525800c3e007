//! Safe wrappers of the operating system's facilities: descriptors, spawning, identity, limits, signals.
