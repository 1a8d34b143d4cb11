/* Sleep and wake between shards (shards/mesh.c), with the store buffers of the CPUs in the open.
 *
 * SENDERS producers send RECORDS records each through rings of ROOM records to one consumer. Whoever
 * has nothing to do sleeps on its eventfd: the consumer when it found no record, a producer when its
 * ring is full. A lost wake is a state in which everybody waits: an invalid end state for spin.
 *
 * Memory: a store goes into a buffer of its process, one entry per place, and from there into
 * memory at any later time, in any order (weaker than TSO, which keeps the order). A release store
 * waits until everything before it has left. A fence waits until the buffer is empty. A process
 * reads its own buffer first. An atomic read-modify-write happens in memory; C11's acq_rel ones let
 * later loads of other places be done before their store is seen: that is what the fences behind
 * them forbid, and without the fence the store goes through the buffer here.
 *
 * -DBITS: the producers' bits in the consumer's word (more than MCQ_MESH_SCAN_MAX shards).
 * The -DNO_... each leave one thing out; each must lose a wake (tests/model/run).
 *
 *      NO_FENCE_PUBLISH   mcq_mesh_publish_all, commit: between headers and the word
 *      NO_FENCE_SLEEP     mcq_mesh_sleep of a consumer: between the word and the rings
 *      NO_FENCE_WAIT      mcq_mesh_sleep of a producer: between the word and the heads
 *      NO_FENCE_ROOM      release: between the head and `waits`
 *      NO_FENCE_GATHER    gather: between the word and the rings
 *      NO_RECHECK         mcq_mesh_sleep doesn't look at the rings again
 *      NO_RECHECK_ROOM    ... nor at the heads
 *      NO_ROOM_BELL       release doesn't look at `waits`
 *      NO_BIT             knock doesn't set the producer's bit
 *      NO_RMW_BIT         knock sets its bit by a load and a store
 *      NO_RMW_SLEEP       mcq_mesh_sleep sets the flag by a load and a store
 *      NO_RMW_GATHER      gather empties the word by a load and a store
 */
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef RECORDS
#define RECORDS 2
#endif
#ifndef ROOM
#define ROOM 1
#endif

#define CONSUMER SENDERS
#define PROCS    (SENDERS + 1)
/* places */
#define HDR(p)   (p)
#define HEAD(p)  (SENDERS + (p))
#define WAITS(p) (2 * SENDERS + (p))
#define WORD(q)  (3 * SENDERS + (q))
#define PLACES   (3 * SENDERS + PROCS)

#define SLEEPS 128
#define BIT(p) (1 << (p))

byte mem[PLACES];
bool held[PROCS * PLACES]; /* buffers */
byte value[PROCS * PLACES];
byte held_cnt[PROCS];
bool bell[PROCS]; /* eventfds */

#define AT(me, place) ((me) * PLACES + (place))

inline load(me, place, to)
{
    d_step {
        if
        :: held[AT(me, place)] -> to = value[AT(me, place)]
        :: else -> to = mem[place]
        fi
    }
}

inline store(me, place, what)
{
    atomic {
        !held[AT(me, place)];
        held[AT(me, place)] = true;
        value[AT(me, place)] = what;
        held_cnt[me]++
    }
}

inline store_release(me, place, what)
{
    atomic {
        held_cnt[me] == 0;
        held[AT(me, place)] = true;
        value[AT(me, place)] = what;
        held_cnt[me]++
    }
}

inline fence(me)
{
    held_cnt[me] == 0
}

inline fetch_or(me, place, bits, old)
{
    atomic {
        held_cnt[me] == 0;
        old = mem[place];
        mem[place] = mem[place] | (bits)
    }
}

inline fetch_and(me, place, bits, old)
{
    atomic {
        held_cnt[me] == 0;
        old = mem[place];
        mem[place] = mem[place] & (bits)
    }
}

/* What leaves the buffers, whenever it likes. */
active proctype Buffers()
{
    byte me, place;
end:
    do
    :: atomic {
           (held_cnt[0] != 0 || held_cnt[1] != 0 || held_cnt[PROCS - 1] != 0) ->
           select(me : 0 .. PROCS - 1);
           select(place : 0 .. PLACES - 1);
           if
           :: held[AT(me, place)] ->
               mem[place] = value[AT(me, place)];
               held[AT(me, place)] = false;
               value[AT(me, place)] = 0;
               held_cnt[me]--
           :: else
           fi;
           me = 0;
           place = 0
       }
    od
}

/* After a store that `other` has to see, and a fence. */
inline knock(me, other)
{
    load(me, WORD(other), w);
#if defined(BITS) && !defined(NO_BIT)
    if
    :: other == CONSUMER && (w & BIT(me)) == 0 ->
#ifdef NO_RMW_BIT
        store(me, WORD(other), (w | BIT(me)));
        fence(me)
#else
        fetch_or(me, WORD(other), BIT(me), w)
#endif
    :: else
    fi;
#endif
    if
    :: (w & SLEEPS) != 0 ->
        fetch_and(me, WORD(other), 127, w);
        if
        :: (w & SLEEPS) != 0 -> bell[other] = true
        :: else
        fi
    :: else
    fi;
    w = 0
}

inline announce(me)
{
#ifdef NO_RMW_SLEEP
    load(me, WORD(me), w);
    store(me, WORD(me), (w | SLEEPS));
    fence(me);
#else
    fetch_or(me, WORD(me), SLEEPS, w);
#endif
    w = 0
}

/* The same without the fence behind it: its store is seen later. */
inline announce_late(me)
{
    load(me, WORD(me), w);
    store(me, WORD(me), (w | SLEEPS));
    w = 0
}

inline awake(me)
{
    fetch_and(me, WORD(me), 127, w);
    w = 0
}

proctype Producer(byte me)
{
    byte sent, head, w;
    do
    :: sent == RECORDS -> break
    :: else ->
        load(me, HEAD(me), head);
        if
        :: sent - head < ROOM ->
            sent++;
            store_release(me, HDR(me), sent);
#ifndef NO_FENCE_PUBLISH
            fence(me);
#endif
            knock(me, CONSUMER)
        :: else ->
            store(me, WAITS(me), (sent - ROOM + 2)); /* 1 + the head that gives room */
#ifdef NO_FENCE_WAIT
            announce_late(me);
#else
            announce(me);
            fence(me);
#endif
#ifndef NO_RECHECK_ROOM
            load(me, HEAD(me), head);
#endif
            if
            :: sent - head < ROOM
            :: else -> atomic { bell[me]; bell[me] = false }
            fi;
            awake(me);
            store(me, WAITS(me), 0)
        fi;
        head = 0
    od
}

/* Gives room back for what was taken of p. */
inline release(me, p, got)
{
    store_release(me, HEAD(p), got);
#ifndef NO_FENCE_ROOM
    fence(me);
#endif
#ifndef NO_ROOM_BELL
    load(me, WAITS(p), v);
    if
    :: v != 0 && got >= v - 1 -> knock(me, p)
    :: else
    fi;
    v = 0
#endif
}

inline take(me, p)
{
    load(me, HDR(p), v);
    if
    :: v != got[p] ->
        assert(v > got[p] && v - got[p] <= ROOM);
        all = all + v - got[p];
        got[p] = v;
        worked = true;
        v = 0;
        release(me, p, got[p])
    :: else
    fi;
    v = 0
}

proctype Consumer(byte me)
{
    byte got[SENDERS];
    byte all, p, v, w, left;
    bool worked, any;
    do
    :: all == RECORDS * SENDERS -> break
    :: else ->
#ifdef BITS
        load(me, WORD(me), w);
        if
        :: w != 0 ->
#if defined(NO_RMW_GATHER)
            store(me, WORD(me), 0);
            fence(me);
#elif defined(NO_FENCE_GATHER)
            store(me, WORD(me), 0);
#else
            atomic { held_cnt[me] == 0; w = mem[WORD(me)]; mem[WORD(me)] = 0 };
            fence(me);
#endif
            left = left | (w & 127)
        :: else
        fi;
        w = 0;
#endif
        p = 0;
        do
        :: p == SENDERS -> break
#ifdef BITS
        :: p < SENDERS && (left & BIT(p)) == 0 -> p++
        :: p < SENDERS && (left & BIT(p)) != 0 -> take(me, p); left = left & ~BIT(p); p++
#else
        :: p < SENDERS -> take(me, p); p++
#endif
        od;
        p = 0;
        if
        :: worked
        :: else ->
#ifdef NO_FENCE_SLEEP
            announce_late(me);
#else
            announce(me);
            fence(me);
#endif
            any = false;
#ifndef NO_RECHECK
#ifdef BITS
            load(me, WORD(me), v);
            any = (v & 127) != 0;
#else
            do
            :: p == SENDERS -> break
            :: p < SENDERS -> load(me, HDR(p), v); any = any || v != got[p]; p++
            od;
            p = 0;
#endif
            v = 0;
#endif
            if
            :: any
            :: else -> atomic { bell[me]; bell[me] = false }
            fi;
            awake(me);
            any = false
        fi;
        worked = false
    od
}

init {
    byte i;
    atomic {
        do
        :: i == SENDERS -> break
        :: i < SENDERS -> run Producer(i); i++
        od;
        i = 0;
        run Consumer(CONSUMER)
    }
}
