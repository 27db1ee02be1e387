"""Clock, event loops, background tasks, threads, durable files and validators."""
