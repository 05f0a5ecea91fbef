// Steps that finish later, one after the other: the messages of a call keep their order while descriptions
// are being rewritten elsewhere.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <utility>

namespace offhook::bridge {

class Serial {
public:
    using Next = std::function<void()>; // to be called once, when the step is done
    using Step = std::function<void(const Next &next)>;

    void add(Step step) {
        queue_->steps.push_back(std::move(step));
        if (!queue_->busy) run(queue_);
    }
    void clear() { queue_->steps.clear(); }

private:
    struct Queue {
        std::deque<Step> steps;
        bool busy = false;
    };
    static void run(const std::shared_ptr<Queue> &queue) {
        while (!queue->busy && !queue->steps.empty()) {
            queue->busy = true;
            const Step step = std::move(queue->steps.front());
            queue->steps.pop_front();
            step([queue, done = std::make_shared<bool>(false)] {
                if (std::exchange(*done, true)) return;
                queue->busy = false;
                run(queue);
            });
        }
    }

    std::shared_ptr<Queue> queue_ = std::make_shared<Queue>();
};

} // namespace offhook::bridge
