/* The failing side of ensure(): one line on stderr, then abort so that a core tells the rest. */
#include "base/ensure.h"

#include <stdio.h>
#include <stdlib.h>

void ensure_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "weft: %s:%d: this must hold and does not: %s\n", file, line, what);
    abort();
}
