"""What became of the cases, and the table of it. What has no outcome has failed: nothing is right that did not run."""


class Outcome:
    """Of one case: the number of its runs, or what is wrong."""

    def __init__(self, name, runs=0, error=None):
        self.name, self.runs, self.error = name, runs, error


def summary(families, kernels, outcomes, what='kernels right'):
    """Prints a line a family and the count that test/run.sh reads; `families` are all the cases that there are. Answers the exit status."""
    by_name = {}
    for o in outcomes:
        if o.name in by_name:
            raise SystemExit(f'{o.name} ran twice')
        by_name[o.name] = o
    rows = [('family', 'kernels', 'right', 'variants', 'schedules', 'runs')]
    right_in_all = 0
    every = {'all': [c for cases in families.values() for c in cases]}
    for family, cases in {**families, **every}.items():
        variants = [v['schedule'] for c in cases for v in kernels[c.name]['variants']]
        done = [by_name[c.name] for c in cases if c.name in by_name]
        right_in_all = sum(not o.error and o.runs > 0 for o in done)
        rows.append((family, len(cases), right_in_all, len(variants), len(set(variants)), sum(o.runs for o in done)))
    for family, *numbers in rows:
        print(f'{family:10}', *(f'{n:>9}' for n in numbers))
    for c in every['all']:
        if c.name not in by_name or not (by_name[c.name].error or by_name[c.name].runs):
            print(f'FAIL {c.name}: did not run')
    print(f"{right_in_all} of {len(every['all'])} {what}")
    return 0 if every['all'] and right_in_all == len(every['all']) else 1
