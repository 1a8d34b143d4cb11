/* Monocoque: ZMTP messaging on io_uring, one thread per core. This header includes all others. */
#ifndef MONOCOQUE_H
#define MONOCOQUE_H

#include <monocoque/app.h>
#include <monocoque/base.h>
#include <monocoque/embed.h>
#include <monocoque/error.h>
#include <monocoque/event.h>
#include <monocoque/msg.h>
#include <monocoque/port.h>
#include <monocoque/proxy.h>
#include <monocoque/shard.h>
#include <monocoque/sock.h>
#include <monocoque/stats.h>
#include <monocoque/steer.h>
#include <monocoque/topo.h>

#endif
