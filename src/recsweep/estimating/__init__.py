"""How long a sweep will take, and how much memory, said before it runs; imports no torch."""
