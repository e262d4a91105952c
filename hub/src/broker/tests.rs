//! Faults that can only be made from inside.
