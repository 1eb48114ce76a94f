#include "chroma/write_observer.h"

#include <assert.h>

static void notify_settled(struct write_observers *observers, struct write_notice *notice,
                           bool is_lost, uint64_t now_us);

void write_observer_init(struct write_observers *observers)
{
    list_init(&observers->list);
}

void write_observer_add(struct write_observers *observers, struct write_observer *observer)
{
    list_push_back(&observers->list, &observer->node);
}

void write_observer_remove(struct write_observer *observer)
{
    list_remove(&observer->node);
}

void write_observer_sent(struct write_observers *observers, struct write_notice *notice,
                         uint64_t now_us)
{
    assert(notice->state == WRITE_NOTICE_UNSENT);
    notice->state = WRITE_NOTICE_SENT;
    LIST_FOR_EACH(node, &observers->list)
    {
        struct write_observer *observer = LIST_ITEM(node, struct write_observer, node);

        if (observer->on_sent != NULL)
            observer->on_sent(observer, notice, now_us);
    }
}

void write_observer_known(struct write_observers *observers, struct write_notice *notice,
                          enum write_outcome outcome, struct bytes answer, uint64_t now_us)
{
    assert(notice->state == WRITE_NOTICE_SENT);
    notice->state = outcome == WRITE_OUTCOME_UNKNOWN ? WRITE_NOTICE_UNKNOWN : WRITE_NOTICE_OVER;
    LIST_FOR_EACH(node, &observers->list)
    {
        struct write_observer *observer = LIST_ITEM(node, struct write_observer, node);

        if (observer->on_known != NULL)
            observer->on_known(observer, notice, outcome, answer, now_us);
    }
}

void write_observer_settled(struct write_observers *observers, struct write_notice *notice,
                            uint64_t now_us)
{
    notify_settled(observers, notice, false, now_us);
}

void write_observer_lost(struct write_observers *observers, struct write_notice *notice,
                         uint64_t now_us)
{
    notify_settled(observers, notice, true, now_us);
}

static void notify_settled(struct write_observers *observers, struct write_notice *notice,
                           bool is_lost, uint64_t now_us)
{
    assert(notice->state == WRITE_NOTICE_UNKNOWN);
    notice->state = WRITE_NOTICE_OVER;
    LIST_FOR_EACH(node, &observers->list)
    {
        struct write_observer *observer = LIST_ITEM(node, struct write_observer, node);

        if (observer->on_settled != NULL)
            observer->on_settled(observer, notice, is_lost, now_us);
    }
}
