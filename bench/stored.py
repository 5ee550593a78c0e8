"""Fills the table of the embedded engine with copies of jobs that the service has run.

Each copy has a user and a request id of its own, and so an audit chain of its own: every record names its job, and is linked to
the record before it by a new digest. `local audit verify` finds no fault in it. The rows are written into the engine's SQLite file
while nothing has it open: a million jobs by requests would take hours.
"""
import base64, collections, hashlib, json, sqlite3, uuid

TABLE = "openclaw-miniprogram"
# One row of the engine's table for an item.
Row = collections.namedtuple("Row", "pk sk item size")


def copied_id(number, before_ms):
    """The request id of a copy: a UUIDv7 from before the template, one millisecond earlier for each number."""
    random = int.from_bytes(hashlib.sha256(b"%d" % number).digest()[:10], "big")
    return str(uuid.UUID(int=((before_ms - number) << 80) | (7 << 76) | ((random >> 62 & 0xFFF) << 64) | (2 << 62)
                         | (random & ((1 << 62) - 1))))


def copied_user(number):
    return str(uuid.UUID(bytes=hashlib.sha256(b"user %d" % number).digest()[:16], version=4))


class Template:
    """The rows of one job that has ended: its item, its payload, its audit records and what else names its id."""

    def __init__(self, database, user, request_id):
        self.user, self.id = user, request_id
        rows = database.execute(f'SELECT pk, sk, item_json, item_size FROM "{TABLE}" WHERE pk = ? AND sk LIKE ?',
                                (f"S:U#{user}", f"%{request_id}%")).fetchall()
        self.job = next(Row(*row) for row in rows if row[1].startswith("S:J#"))
        chained = [Row(*row) for row in rows if '"rec"' in row[2]]
        self.others = [Row(*row) for row in rows if row[1] != self.job.sk and '"rec"' not in row[2]]
        # In the order of the chain: the payload holds the first record.
        self.chain = sorted(chained, key=lambda row: json.loads(json.loads(row.item)["rec"]["S"])["seq"])
        self.records = [json.loads(row.item)["rec"]["S"] for row in self.chain]
        self.digests = [digest(record) for record in self.records]
        head = json.loads(self.job.item)["au"]["M"]
        if (int(head["n"]["N"]), head["h"]["S"]) != (len(self.chain), self.digests[-1]):
            raise SystemExit("the chain of the job that is to be copied is not understood")

    def rows(self, user, request_id):
        """The same job of another user under another id."""
        def moved(text):
            return text.replace(self.id, request_id).replace(self.user, user)

        previous = []
        for row, record, old in zip(self.chain, self.records, self.digests):
            text = moved(record)
            for before, after in previous:
                text = text.replace(before, after)
            previous.append((old, digest(text)))
            item = moved(row.item)
            for before, after in previous:
                item = item.replace(before, after)
            yield Row(moved(row.pk), moved(row.sk).replace(old, previous[-1][1]), item, row.size)
        before, after = previous[-1]
        yield Row(moved(self.job.pk), moved(self.job.sk), moved(self.job.item).replace(before, after), self.job.size)
        for row in self.others:
            yield Row(moved(row.pk), moved(row.sk), moved(row.item), row.size)


def digest(record):
    """Of a canonical record."""
    return base64.urlsafe_b64encode(hashlib.sha256(record.encode()).digest()).rstrip(b"=").decode()


def opened(file):
    """The database of an engine that does not run."""
    database = sqlite3.connect(file)
    database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000;")
    return database


def fill(database, owners, before_ms):
    """Stores copies: `owners` gives user, template and number of copies. User by user, in the order of their partitions, which
    SQLite appends to its index instead of searching it."""
    number = 0
    insert = f'INSERT INTO "{TABLE}" (pk, sk, item_json, item_size, hash_prefix) VALUES (?, ?, ?, ?, ?)'
    for user, templates, count in sorted(owners, key=lambda owner: owner[0]):
        # The engine's own prefix of a partition, in the order of which it scans.
        prefix = hashlib.md5(b"OutliersU#" + user.encode()).hexdigest()[:6]
        rows = []
        for _ in range(count):
            rows.extend(templates[number % len(templates)].rows(user, copied_id(number, before_ms)))
            number += 1
            if len(rows) > 100_000:
                database.executemany(insert, [(*row, prefix) for row in rows])
                rows.clear()
        rows.sort(key=lambda row: row.sk)
        database.executemany(insert, [(*row, prefix) for row in rows])
    database.commit()
    return number
