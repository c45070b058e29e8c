"""Programs to copy from: one in C, a desktop program, a service for a Raspberry Pi."""
