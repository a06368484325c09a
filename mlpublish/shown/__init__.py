"""How results look where they are printed: one line in a console, a table and a plot in a notebook.

It stands below everything that is shown, and knows none of it: a result says of itself what it is (``Shown``), in blocks.
"""

from mlpublish.shown.blocks import Badge as Badge
from mlpublish.shown.blocks import Block as Block
from mlpublish.shown.blocks import Facts as Facts
from mlpublish.shown.blocks import Folded as Folded
from mlpublish.shown.blocks import Plot as Plot
from mlpublish.shown.blocks import Sentences as Sentences
from mlpublish.shown.blocks import Table as Table
from mlpublish.shown.result import Shown as Shown
from mlpublish.shown.words import cut as cut
from mlpublish.shown.words import fact as fact
from mlpublish.shown.words import plain as plain
from mlpublish.shown.words import size as size
