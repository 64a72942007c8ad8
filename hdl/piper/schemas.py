"""Schemas that configurations use."""

from hdl.piper.bucketise import Bucketise
from hdl.piper.logarithm import Logarithm
from hdl.piper.modulus import Modulus
from hdl.piper.neg2zero import Neg2Zero
from hdl.piper.schema import Base, Column, Schema, Step, Vocabulary

DENSE: tuple[Step, ...] = (Neg2Zero(), Logarithm())
SPARSE: tuple[Step, ...] = (Modulus(), Vocabulary())


def click_log(name: str, dense: int, sparse: int) -> Schema:
    """A label, ``dense`` numbers and ``sparse`` categories, as dlrm prepares them."""
    return Schema(
        name,
        (
            Column("label", Base.DECIMAL),
            *(Column(f"I{number}", Base.DECIMAL, DENSE) for number in range(1, dense + 1)),
            *(Column(f"C{number}", Base.HEXADECIMAL, SPARSE) for number in range(1, sparse + 1)),
        ),
    )


CRITEO = click_log("criteo", 13, 26)
"""The layout of the Criteo click logs."""

TINY = click_log("tiny", 2, 3)

VISITS = Schema(
    "visits",
    (
        Column("user", Base.HEXADECIMAL),
        Column("age", Base.DECIMAL, (Bucketise((18, 25, 35, 50, 65)),), missing=-1),
        Column("page", Base.HEXADECIMAL, SPARSE),
        Column("balance", Base.DECIMAL),
        Column("seconds", Base.DECIMAL, (Neg2Zero(), Bucketise((1, 10, 60, 600)))),
        Column("clicks", Base.DECIMAL, (Logarithm(),)),
        Column("country", Base.DECIMAL, (Vocabulary(),), missing=255),
    ),
)
"""A schema of another kind: columns that pass through, buckets, defaults, a numbered decimal."""
