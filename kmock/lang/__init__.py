"""The C language as a translated driver needs it: pointers, structs, fixed-width integers."""
