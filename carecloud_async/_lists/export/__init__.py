"""Export a whole list into a file: exactly, resumably, in little memory."""
