#include "media/resample.hpp"

#include <algorithm>
#include <new>

#include <speex/speex_resampler.h>

#include "media/pcm.hpp"

namespace offhook::media {

namespace {

constexpr int quality = 4; // 0..10; speexdsp's desktop default, 0.1 % of a core for 48 to 8 kHz
constexpr unsigned chunks_per_second = 100;

SpeexResamplerState *speex(void *state) noexcept {
    return static_cast<SpeexResamplerState *>(state);
}

class ResampledSource final : public Source {
public:
    ResampledSource(std::unique_ptr<Source> source, unsigned rate)
        : source_(std::move(source)), rate_(rate) {}
    [[nodiscard]] unsigned rate() const noexcept override { return rate_; }
    void read(Samples frame) override { converter_.read(*source_, frame, rate_); }
    [[nodiscard]] bool ended() const noexcept override { return converter_.drained(*source_); }

private:
    std::unique_ptr<Source> source_;
    unsigned rate_;
    SourceConverter converter_;
};

class ResampledSink final : public Sink {
public:
    ResampledSink(std::unique_ptr<Sink> sink, unsigned rate) : sink_(std::move(sink)), rate_(rate) {}
    [[nodiscard]] unsigned rate() const noexcept override { return rate_; }
    void write(ConstSamples frame) override { converter_.write(*sink_, frame, rate_); }
    [[nodiscard]] const Error *failure() const noexcept override { return sink_->failure(); }

private:
    std::unique_ptr<Sink> sink_;
    unsigned rate_;
    SinkConverter converter_;
};

} // namespace

void Resampler::Free::operator()(void *state) const noexcept {
    speex_resampler_destroy(speex(state));
}

Resampler::Resampler(unsigned from, unsigned to) : from_(from), to_(to) {
    if (from == to) return;
    int err = 0;
    state_.reset(speex_resampler_init(1, from, to, quality, &err));
    if (!state_) throw std::bad_alloc();
    speex_resampler_skip_zeros(speex(state_.get()));
}

Resampler::Progress Resampler::process(ConstSamples in, Samples out) noexcept {
    if (!state_) {
        const std::size_t count = std::min(in.size(), out.size());
        std::copy_n(in.begin(), count, out.begin());
        return {count, count};
    }
    auto consumed = static_cast<spx_uint32_t>(in.size()), produced = static_cast<spx_uint32_t>(out.size());
    speex_resampler_process_int(speex(state_.get()), 0, in.data(), &consumed, out.data(), &produced);
    return {consumed, produced};
}

std::size_t Resampler::delay() const noexcept {
    return state_ ? static_cast<std::size_t>(speex_resampler_get_input_latency(speex(state_.get()))) : 0;
}

bool SourceConverter::refill(Source &source) {
    if (source.rate() != resampler_->from() || at_ < input_.size()) return false;
    at_ = 0;
    if (source.ended()) {
        if (!tail_known_) tail_ = resampler_->delay();
        tail_known_ = true;
        const std::size_t count = std::min(tail_, input_.size());
        input_.resize(count);
        silence(input_);
        tail_ -= count;
        return count > 0;
    }
    source.read(input_);
    return true;
}

void SourceConverter::read(Source &source, Samples out, unsigned rate) {
    if (!resampler_ || resampler_->to() != rate ||
        (resampler_->from() != source.rate() && at_ >= input_.size())) {
        resampler_ = std::make_unique<Resampler>(source.rate(), rate);
        input_.assign(source.rate() / chunks_per_second, 0);
        at_ = input_.size();
    }
    if (source.rate() == rate && at_ >= input_.size()) return source.read(out);
    while (!out.empty()) {
        if (at_ >= input_.size() && !refill(source)) break;
        const auto done = resampler_->process(ConstSamples(input_).subspan(at_), out);
        at_ += done.consumed;
        out = out.subspan(done.produced);
        if (done.consumed == 0 && done.produced == 0) break;
    }
    silence(out);
}

bool SourceConverter::drained(const Source &source) const noexcept {
    if (!source.ended()) return false;
    if (!resampler_ || resampler_->from() == resampler_->to()) return at_ >= input_.size();
    return at_ >= input_.size() && tail_known_ && tail_ == 0;
}

void SourceConverter::reset() noexcept {
    resampler_.reset();
    input_.clear();
    at_ = tail_ = 0;
    tail_known_ = false;
}

void SinkConverter::write(Sink &sink, ConstSamples frame, unsigned rate) {
    if (sink.rate() == rate) return sink.write(frame);
    if (!resampler_ || resampler_->from() != rate || resampler_->to() != sink.rate())
        resampler_ = std::make_unique<Resampler>(rate, sink.rate());
    output_.resize(frame.size() * sink.rate() / rate + 16);
    while (!frame.empty()) {
        const auto done = resampler_->process(frame, output_);
        frame = frame.subspan(done.consumed);
        if (done.produced > 0) sink.write(ConstSamples(output_).first(done.produced));
        if (done.consumed == 0 && done.produced == 0) break;
    }
}

std::unique_ptr<Source> resampled(std::unique_ptr<Source> source, unsigned rate) {
    return std::make_unique<ResampledSource>(std::move(source), rate);
}

std::unique_ptr<Sink> resampled_sink(std::unique_ptr<Sink> sink, unsigned rate) {
    return std::make_unique<ResampledSink>(std::move(sink), rate);
}

} // namespace offhook::media
