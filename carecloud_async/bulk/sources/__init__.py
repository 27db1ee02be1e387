"""Where the rows of a bulk write come from: files, Arrow streams, iterables."""
