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

/// Runs `body` in a forked child that ends with what `body` returns. No other thread may run.
template <class Body>
child_end in_child(Body body) {
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
  child_end end;
  char text[512];
  for (ssize_t n = 0; (n = read(ends[0], text, sizeof text)) > 0;) {
    end.said.append(text, static_cast<std::size_t>(n));
  }
  close(ends[0]);
  waitpid(child, &end.status, 0);
  return end;
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
