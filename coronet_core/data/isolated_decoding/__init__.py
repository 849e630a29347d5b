"""Decoding files from outside: what one will cost, and processes with limits of time and memory that do it."""
