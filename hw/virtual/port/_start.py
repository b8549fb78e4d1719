# Started by the host as `-m _start MAIN FWDIR`.
_files = __import__("_vboot").go()
__import__("_vh").run(_files)
