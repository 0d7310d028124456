/* Shedding connections before the cap is reached (security: exhaustion). */
#pragma once

#include "proxy/worker.h"

/* Called before a new connection is taken: above 80 % of the worker's cap an idle connection of the
 * source with the most idle ones is closed first; at the cap with nothing idle, false. */
bool shed_make_room(struct worker *worker);
