/*
 * Observers of plugins: what became of calls, told outside of the programs that made them. Each
 * plugin that a config lists with observers gets a child process of its own, fed through a pipe
 * with what the counters gained since they were last folded (once a second); it ends with the
 * service, or when it crashes or takes longer than 5 s for an event; then it is begun again, five
 * times at most.
 *
 * Nothing here waits for an observer: what a full pipe doesn't take is dropped. One thread.
 */
#ifndef TC_SERVICE_OBSERVE_H
#define TC_SERVICE_OBSERVE_H

#include "cache/shared_page.h"
#include "cache/task.h"
#include "service/job.h"
#include "service/log.h"

struct tc_observer;

struct tc_observers {
    struct tc_observer *first;
    struct tc_jobs jobs;
    struct tc_log *log;
    unsigned dropped;
};

/* Begins those of this config that aren't there yet. */
void tc_observers_use(struct tc_observers *o, const struct tc_flat *config);
/* What a task's counters gained. */
void tc_observers_tell(void *observers, const struct tc_counters *gained);
/* Reaps, and begins anew. */
void tc_observers_tick(struct tc_observers *o);
/* Lets them come to the end of what they were told, a second at most. */
void tc_observers_end(struct tc_observers *o);

#endif
