"""Tables: files and frames as they are, and what makes inputs and targets of their columns."""

from fastgd.tables.column import Column
from fastgd.tables.columns import Columns
from fastgd.tables.model import Model
from fastgd.tables.reading import read_frame
from fastgd.tables.table import Table
from fastgd.tables.target import Target
from fastgd.tables.training import train

__all__ = ["Column", "Columns", "Model", "Table", "Target", "read_frame", "train"]
