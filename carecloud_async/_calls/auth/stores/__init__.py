"""Token stores: for one process, one host, many hosts. Each is imported only when it is used."""
