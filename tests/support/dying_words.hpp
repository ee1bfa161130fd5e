// SPDX-License-Identifier: MIT
#pragma once
// What a program that a broken rule ends says before it dies. The rule is broken in a forked child,
// whose standard error comes back as text; the text is empty when the child did not abort.

#include <csignal>
#include <string>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weft::tests {

/// How a forked child ended.
struct child_end {
  int status = 0;  // of waitpid
  std::string said{};

  bool aborted() const noexcept { return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT; }
  bool exited_with(int code) const noexcept {
    return WIFEXITED(status) && WEXITSTATUS(status) == code;
  }
};

/// A forked child that has not been waited for.
struct running_child {
  pid_t id = -1;
  int said = -1;  // where its standard error comes out
};

/// Forks a child that runs `body` and ends with what `body` returns. No other thread may run.
template <class Body>
running_child start_child(Body body) {
  int ends[2];
  if (pipe(ends) != 0) {
    return {};
  }
  const pid_t child = fork();
  if (child == 0) {
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    std::signal(SIGABRT, SIG_DFL);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    alarm(60);
    _exit(body());
  }
  close(ends[1]);
  return {child, ends[0]};
}

/// Reads what it says, and waits until it has ended.
inline child_end end_of(running_child child) {
  child_end end;
  if (child.id < 0) {
    return end;
  }
  char text[512];
  for (ssize_t n = 0; (n = read(child.said, text, sizeof text)) > 0;) {
    end.said.append(text, static_cast<std::size_t>(n));
  }
  close(child.said);
  waitpid(child.id, &end.status, 0);
  return end;
}

/// The two in one.
template <class Body>
child_end in_child(Body body) {
  return end_of(start_child(body));
}

/// What `body` says on standard error before it aborts.
template <class Body>
std::string dying_words(Body body) {
  const child_end end = in_child([&body] {
    body();
    return 0;
  });
  return end.aborted() ? end.said : std::string();
}

}  // namespace weft::tests
