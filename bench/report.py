"""The benchmark's tables and marks: medians in, Markdown out. Used by bench/run."""
import os
import statistics

import peers

DOCUMENT = os.path.join(peers.ROOT, 'docs', 'performance.md')
BEGIN, END = '<!-- bench/run --write: begin -->', '<!-- bench/run --write: end -->'


def median(results, key):
    return statistics.median(result[key] for result in results)


def table(head, rows):
    """A Markdown table whose columns line up for a reader of the terminal too."""
    rows = [[str(cell) for cell in row] for row in [head] + rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ['| ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths)) + ' |'
             for row in rows]
    lines.insert(1, '| ' + ' | '.join('-' * width for width in widths) + ' |')
    return '\n'.join(lines)


def cpu_cell(results):
    return '%.1f (%.1f + %.1f)' % tuple(median(results, key) for key in ('cpu', 'user', 'system'))


def traffic_tables(title, loads, names, results):
    """results[(load name, peer name)] -> list of runs."""
    def rows(cell):
        return [[load.name()] + [cell(results[load.name(), name])
                                 if results.get((load.name(), name)) else '-' for name in names]
                for load in loads]
    head = [title] + names
    return '\n\n'.join([
        'CPU microseconds per request (user + system):',
        table(head, rows(cpu_cell)),
        'Requests per second:',
        table(head, rows(lambda runs: '%.0f' % median(runs, 'rate'))),
        'Latency, p50 / p99 in milliseconds:',
        table(head, rows(lambda runs: '%.2f / %.2f' % (median(runs, 'p50'), median(runs, 'p99')))),
    ])


def memory_table(memory):
    """memory[peer name] -> list of {ready, rss, anonymous, held, per_connection, open}."""
    rows = []
    for name, runs in memory.items():
        rows.append([name, '%.1f' % median(runs, 'ready'),
                     '%.2f' % (median(runs, 'rss') / 2**20),
                     '%.2f' % (median(runs, 'anonymous') / 2**20),
                     '%.0f' % median(runs, 'per_connection'),
                     '%d of %d' % (min(run['open'] for run in runs), runs[0]['wanted'])])
    return table(['', 'exec to first answer, ms', 'RSS idle, MiB', 'anonymous, MiB',
                  'bytes per idle connection', 'still open'], rows)


class Marks:
    """The marks of the project, each measured / limit."""

    def __init__(self):
        self.rows, self.missed = [], 0

    def at_most(self, what, measured, limit, unit=''):
        good = measured <= limit
        self.missed += not good
        self.rows.append([what, '%.4g %s' % (measured, unit), '%.4g %s' % (limit, unit),
                          '%.2f' % (measured / limit) if limit else '-',
                          'PASS' if good else 'MISS'])

    def skip(self, what, why):
        self.rows.append([what, '-', '-', '-', 'skipped: ' + why])

    def cpu(self, load, results, other, factor, suffix=''):
        """Weft's CPU per request against a share of another's in the same run."""
        what = 'CPU, %s%s, <= %.2f x %s' % (load.name(), suffix, factor, other)
        mine, theirs = (results.get((load.name(), name)) for name in ('weft', other))
        if mine and theirs:
            self.at_most(what, median(mine, 'cpu'), factor * median(theirs, 'cpu'), 'us')
        else:
            self.skip(what, '%s did not run' % (other if mine else 'weft'))

    def text(self):
        return table(['mark', 'measured', 'limit', 'measured / limit', ''], self.rows)


def write_document(text):
    """Replaces what stands between the two marks in docs/performance.md."""
    with open(DOCUMENT, encoding='utf-8') as file:
        before, _, rest = file.read().partition(BEGIN)
    after = rest.partition(END)[2]
    with open(DOCUMENT + '.part', 'w', encoding='utf-8') as file:
        file.write('%s%s\n\n%s\n\n%s%s' % (before, BEGIN, text, END, after or '\n'))
    os.rename(DOCUMENT + '.part', DOCUMENT)
