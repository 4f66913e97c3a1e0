"""What an operator does to households: export, import, look after, repair."""
