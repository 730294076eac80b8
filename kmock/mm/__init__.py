"""Memory management: one module for each ``mm/*.c`` that it stands for."""
