"""The main job in one go: a study that trains, maps with every solver and measures, and a page that shows it."""

from matchopt.demo.plan import demo_study as demo_study
from matchopt.demo.show import show_demo as show_demo
