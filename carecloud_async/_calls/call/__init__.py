"""The life of one call: from an operation to a decoded answer or an error."""
