// SPDX-License-Identifier: MIT
#pragma once
// All of weft. Each header can be included alone: <weft/runtime/task.hpp>, <weft/io/tcp.hpp>,
// <weft/sched/run.hpp>. Recordings for the .trace option are in <weft/sched/trace.hpp>.

#include "weft/io/blocking.hpp"
#include "weft/io/file.hpp"
#include "weft/io/fs.hpp"
#include "weft/io/serve.hpp"
#include "weft/io/tcp.hpp"
#include "weft/runtime/as_result.hpp"
#include "weft/runtime/channel.hpp"
#include "weft/runtime/event.hpp"
#include "weft/runtime/finally.hpp"
#include "weft/runtime/mutex.hpp"
#include "weft/runtime/semaphore.hpp"
#include "weft/runtime/sleep.hpp"
#include "weft/runtime/task.hpp"
#include "weft/runtime/task_group.hpp"
#include "weft/runtime/when_all.hpp"
#include "weft/runtime/when_any.hpp"
#include "weft/runtime/with_timeout.hpp"
#include "weft/runtime/yield.hpp"
#include "weft/sched/on.hpp"
#include "weft/sched/run.hpp"
