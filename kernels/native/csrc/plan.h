/* What a forward is about to do: its rows, their ancestors, and the attention's units and items. */
#ifndef PLAN_H
#define PLAN_H

#include "model.h"

typedef struct Row {
    int64_t slot, position; /* in its segment's cache; committed + depth */
    int64_t straight;       /* ancestors at positions below this lie in the slots of the same number */
    const int32_t *stray;   /* slots of the ancestors at positions straight..position, itself last */
    const Cache *cache;
    Tile tile; /* of activations, and its place there */
    int64_t place;
} Row;

/* Rows of one segment whose queries of one key-value head are worked on together. */
typedef struct Unit {
    int64_t row, rows, fresh_from, fresh_to;
} Unit;

/* One piece of attention: blocks from..to-1 of a unit and key-value head. Where a unit is in several pieces, each
 * leaves its blocks' results at `part`, and the last piece to end merges blocks first..end-1 in their order. */
typedef struct Item {
    const Unit *unit;
    int64_t head, from, to, first, end, part, pieces, counter;
} Item;

typedef struct ItemList {
    int32_t window;
    int64_t count;
    Item *items;
} ItemList;

typedef struct Plan {
    const Model *model;
    int64_t rows, units, lists;
    Row *row;
    int32_t *strays;
    Unit *unit;
    Tile *tiles;
    int64_t tile_count;
    ItemList list[8];
    int64_t parts, counters; /* floats of the largest list's parts; counters it needs */
} Plan;

int64_t part_floats(const Model *model); /* of one query's result: o[dim], maximum, sum, padded */
int64_t unit_rows(const Model *model);   /* rows of a unit at most */
int plan_make(Model *model, const Segment *segments, int64_t segment_count, const int32_t *tokens,
              const int32_t *parents, const int32_t *depths, Plan *plan);
const ItemList *plan_items(const Plan *plan, int32_t window);

#endif
