/* The ring of shards/spsc.h: nothing overwritten, nothing lost, in order, whatever the store buffers
 * of the two CPUs do.
 *
 * RECORDS records of one or two slots (a header, perhaps a body) go through a ring of SLOTS slots,
 * published one by one or several at once, with a pad where one doesn't fit before the end. The
 * consumer releases whenever it likes. What is free at first looks like a record.
 *
 * Memory as in handshake.pml: stores leave their buffer at any time and in any order but for a
 * release, which waits for those before it. Each -DNO_... must be found out (tests/model/run):
 *
 *      NO_RELEASE_PUBLISH   the first header of a batch may be seen before the rest of it
 *      NO_RELEASE_HEAD      the head may be seen before the consumer has read what it frees
 *      NO_END               commit doesn't write a 0 behind its record
 *      NO_END_ROOM          ... or writes it without having room for it
 *      NO_WITHHOLD          a header is stored before the 0 behind its record can be seen
 */
#ifndef SLOTS
#define SLOTS 4
#endif
#ifndef RECORDS
#define RECORDS 4
#endif

#define PLACES  (SLOTS + 1)
#define HEAD    SLOTS
#define PHANTOM 255
#define HDR(n, slots) (64 + 4 * (n) + (slots))
#define PAD(slots)    (32 + (slots))
#define BODY(n)     (128 + (n))

byte mem[PLACES];
bool held[PLACES]; /* the producer's buffer, then the consumer's for HEAD: each writes its own */
byte value[PLACES];
byte held_cnt;     /* of the producer's */

inline load_own(place, to)
{
    d_step {
        if
        :: held[place] -> to = value[place]
        :: else -> to = mem[place]
        fi
    }
}

inline store(place, what)
{
    atomic {
        !held[place];
        held[place] = true;
        value[place] = what;
        held_cnt++
    }
}

inline store_release(place, what)
{
    atomic {
        held_cnt == 0;
        held[place] = true;
        value[place] = what;
        held_cnt++
    }
}

active proctype Buffers()
{
    byte place;
end:
    do
    :: atomic {
           (held_cnt != 0 || held[HEAD]) ->
           select(place : 0 .. PLACES - 1);
           if
           :: held[place] ->
               mem[place] = value[place];
               held[place] = false;
               value[place] = 0;
               held_cnt = held_cnt - (place != HEAD -> 1 : 0)
           :: else
           fi;
           place = 0
       }
    od
}

inline publish()
{
    if
    :: withheld != 0 ->
#ifdef NO_RELEASE_PUBLISH
        store(first % SLOTS, withheld);
#else
        store_release(first % SLOTS, withheld);
#endif
        withheld = 0;
        first = 0
    :: else
    fi
}

inline put(hdr, cnt)
{
#ifndef NO_END
    store((tail + cnt) % SLOTS, 0);
#endif
#ifdef NO_WITHHOLD
    store(tail % SLOTS, hdr);
#else
    if
    :: withheld == 0 -> withheld = hdr; first = tail
    :: else -> store(tail % SLOTS, hdr)
    fi;
#endif
    tail = tail + cnt
}

#ifdef NO_END_ROOM
#define END_ROOM 0
#else
#define END_ROOM 1
#endif

proctype Producer()
{
    byte tail, first, withheld, made, slots, pad;
    byte limit = SLOTS;
    do
    :: made == RECORDS -> break
    :: made < RECORDS ->
        if
        :: slots = 1
        :: slots = 2
        fi;
        pad = (SLOTS - tail % SLOTS >= slots -> 0 : SLOTS - tail % SLOTS);
        do
        :: tail + pad + slots + END_ROOM <= limit -> break
        :: else ->
            publish();
            atomic { mem[HEAD] + SLOTS > limit; limit = mem[HEAD] + SLOTS }
        od;
        if
        :: pad != 0 -> put(PAD(pad), pad)
        :: else
        fi;
        if
        :: slots == 2 -> store((tail + 1) % SLOTS, BODY(made))
        :: else
        fi;
        put(HDR(made, slots), slots);
        made++;
        slots = 0;
        pad = 0;
        if
        :: publish()
        :: true
        fi
    od;
    publish()
}

inline release()
{
    atomic { !held[HEAD]; held[HEAD] = true; value[HEAD] = head; released = head }
}

proctype Consumer()
{
    byte head, released, seen, hdr;
    do
    :: seen == RECORDS -> break
    :: seen < RECORDS ->
        hdr = mem[head % SLOTS];
        if
        :: hdr == 0 ->
            if
            :: released != head -> release()
            :: else
            fi;
            mem[head % SLOTS] != 0
        :: hdr != 0 && hdr == PAD(SLOTS - head % SLOTS) -> head = head + SLOTS - head % SLOTS
        :: hdr == HDR(seen, 1) ->
            head = head + 1;
            seen++
        :: hdr == HDR(seen, 2) ->
#ifdef NO_RELEASE_HEAD
            head = head + 2;
            release();
            assert(mem[(head - 1) % SLOTS] == BODY(seen));
#else
            assert(mem[(head + 1) % SLOTS] == BODY(seen));
            head = head + 2;
#endif
            seen++
        :: else -> assert(false) /* no record of ours */
        fi;
        hdr = 0;
        if
        :: released != head -> release()
        :: true
        fi
    od
}

init {
    byte i = 1;
    atomic {
        do
        :: i == SLOTS -> break
        :: i < SLOTS -> mem[i] = PHANTOM; i++
        od;
        i = 0;
        run Producer();
        run Consumer()
    }
}
