/* Which idle connection goes when connections run short. Looking at a bounded sample of those idle
 * for longest keeps the cost of an accept flat. */
#include "proxy/shed.h"

#include "proxy/downstream.h"

#define SAMPLE 64

/* The longest idle connection of the source that has the most in the sample. */
static struct downstream *choose(struct worker *worker)
{
    struct downstream *sample[SAMPLE];
    unsigned count = 0;
    for (struct list *link = worker->idle.next; link != &worker->idle && count < SAMPLE;
         link = link->next) {
        struct downstream *downstream = list_owner(link, struct downstream, link);
        if (!downstream->running && !downstream->lingering) {
            sample[count++] = downstream;
        }
    }
    struct downstream *chosen = NULL;
    unsigned most = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned same = 0;
        for (unsigned j = 0; j < count; j++) {
            same += address_same_ip(&sample[i]->peer, &sample[j]->peer);
        }
        if (same > most) {
            most = same;
            chosen = sample[i];
        }
    }
    return chosen;
}

bool shed_make_room(struct worker *worker)
{
    uint32_t cap = worker->options.max_connections;
    if (cap == 0 || worker->connections < cap - cap / 5) {
        return true;
    }
    struct downstream *chosen = choose(worker);
    if (chosen) {
        downstream_shed(chosen);
    }
    return worker->connections < cap;
}
