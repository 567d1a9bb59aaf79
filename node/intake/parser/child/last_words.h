// What a child of the parser says when it cannot go on. Libraries assert, throw where nothing may be thrown, and
// recurse until the stack is full: the node then gets a refusal with a reason instead of a signal. Memory errors stay
// signals: nothing that such a process says can be believed.
#pragma once

namespace fovea::node::intake {

enum class Ending { contradiction, stack_full };

// For this process and its children: handlers for a full stack and for exceptions that nobody catches.
void prepare_last_words();
// In a child: where its answer goes. -1: nowhere, it aborts as it would have.
void leave_last_words_in(int result) noexcept;

// Leaves the refusal as the job's answer and ends the process as one that finished. From any context, a signal
// handler's too.
[[noreturn]] void end_with(Ending ending) noexcept;

}  // namespace fovea::node::intake
