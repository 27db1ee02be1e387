"""Outboxes: writes that wait for the network in a file, and are sent exactly once.

**The guarantee.** What `put` has stored is durable when it returns. It is made at the server once, through lost
answers, kills, power cuts, other programs of this user on this machine that write the same. Entries of one customer are
sent in their order. What the server refuses stays as failed, with its reasons, and holds up nothing.

**How.** `entries` checks a call and makes an entry of it; `kinds` says of each operation how that which it makes is
found again; others are refused. `queue` keeps the entries. `sending` takes those whose turn has come, and `group` lets
the engine of bulk writes lead them through the states of `bulk.machine`: the key is claimed, looked up, the intent
noted, the call made. An entry that was sent is deleted.

**Its limits.** A server that holds all writes for minutes may make twice what was sent twice: the entry fails as
`unknown`, with the ids. A key is unique for a user on a machine: two machines that send the same bill at the same
moment may both send it. A change that another program makes within the ten seconds between an `update`'s reading and
writing is overwritten.
"""

from carecloud_async.outbox.errors import KeyInUseError, NotForOutboxError, OutboxError, OutboxInUseError
from carecloud_async.outbox.outbox import Outbox
from carecloud_async.outbox.queue import FailedEntry

__all__ = ["FailedEntry", "KeyInUseError", "NotForOutboxError", "Outbox", "OutboxError", "OutboxInUseError"]
