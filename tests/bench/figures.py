"""A figure: what was measured, each contender's samples, their medians and the ratios between them."""

from dataclasses import dataclass, field
from statistics import median

SIDECAR, DJANGO, CLIENT = "sidecar", "Django", "client"


@dataclass
class Figure:
    """One line of the table. `samples` and `beside` hold every value measured; the table and the ratios, medians."""

    section: str
    what: str
    unit: str
    database: str = ""
    users: int = 0
    # Where more is better: requests per second.
    is_rate: bool = False
    samples: dict = field(default_factory=dict)
    # {contender: {name and unit: samples}}: further values of the same runs
    beside: dict = field(default_factory=dict)
    note: str = ""

    def add(self, contender, value, **beside):
        """One more sample, and the further values of the same run; underscores in their names are spaces."""
        self.samples.setdefault(contender, []).append(value)
        for name, further in beside.items():
            values = self.beside.setdefault(contender, {})
            values.setdefault(name.replace("_", " "), []).append(further)

    def median(self, contender):
        return median(self.samples[contender]) if contender in self.samples else None

    @property
    def of_client(self):
        """The sidecar as a multiple of the database's client: less is better."""
        return quotient(self.median(SIDECAR), self.median(CLIENT))

    @property
    def gain(self):
        """How many times better than Django the sidecar is."""
        pair = self.median(DJANGO), self.median(SIDECAR)
        return quotient(*(reversed(pair) if self.is_rate else pair))

    def as_json(self):
        contenders = {}
        for name, samples in self.samples.items():
            beside = {label: rounded(values) for label, values in self.beside.get(name, {}).items()}
            contenders[name] = rounded(samples) | ({"beside": beside} if beside else {})
        return {
            "section": self.section, "what": self.what, "database": self.database, "users": self.users,
            "unit": self.unit, "contenders": contenders, "sidecar_of_client": self.of_client,
            "gain_over_django": self.gain, "note": self.note,
        }


def rounded(samples):
    return {"median": round(median(samples), 3), "samples": [round(value, 3) for value in samples]}


def quotient(dividend, divisor):
    return round(dividend / divisor, 4) if dividend is not None and divisor else None
