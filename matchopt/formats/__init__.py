"""Reading and writing: matchopt's own format, and those of others. One module per format; docs/formats.md has them."""

from matchopt.formats.catalogue import CatalogueEntry as CatalogueEntry
from matchopt.formats.catalogue import file_sha256 as file_sha256
from matchopt.formats.catalogue import find_entry as find_entry
from matchopt.formats.catalogue import read_catalogue as read_catalogue
from matchopt.formats.catalogue import read_graded as read_graded
from matchopt.formats.catalogue import read_problems as read_problems
from matchopt.formats.catalogue import write_catalogue as write_catalogue
from matchopt.formats.chip import ChipFile as ChipFile
from matchopt.formats.chip import Reading as Reading
from matchopt.formats.chip import read_array as read_array
from matchopt.formats.chip import read_chip as read_chip
from matchopt.formats.chip import read_hardware as read_hardware
from matchopt.formats.own import SolutionFile as SolutionFile
from matchopt.formats.registry import FORMATS as FORMATS
from matchopt.formats.registry import Format as Format
from matchopt.formats.registry import format_named as format_named
from matchopt.formats.registry import load as load
from matchopt.formats.registry import read as read
from matchopt.formats.registry import read_instance as read_instance
from matchopt.formats.registry import read_solution as read_solution
from matchopt.formats.registry import recognise as recognise
from matchopt.formats.registry import write as write
