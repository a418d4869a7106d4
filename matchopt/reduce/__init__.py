"""The ladder: from an instance down to a simpler kind, and a solution back up; exact, or refused with the reason."""

from matchopt.reduce.beginning import beginning as beginning
from matchopt.reduce.crossbar import crossbar_beginning as crossbar_beginning
from matchopt.reduce.crossbar import prepare_crossbar as prepare_crossbar
from matchopt.reduce.ladder import WAYS_DOWN as WAYS_DOWN
from matchopt.reduce.ladder import reduction as reduction
from matchopt.reduce.layer_program import program_size as program_size
from matchopt.reduce.reduction import Reduction as Reduction
from matchopt.reduce.separable import not_separable as not_separable
from matchopt.reduce.surrogate import surrogate as surrogate
from matchopt.reduce.tightening import tightened as tightened
