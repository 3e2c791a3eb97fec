// The smallest use of the SDK: connect, say hello, print what comes.
//
//   HONGYAN_PASSWORD=... hello 127.0.0.1:7460 anna bert
//
// writes "hello" from anna to bert and prints anna's messages for ten seconds; run it twice the
// other way round to see both. What was received is remembered in ./hello-anna.
#include <hongyan/client.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

int main(int argc, char** argv) {
  const char* password = std::getenv("HONGYAN_PASSWORD");
  if (argc != 4 || password == nullptr) {
    std::cerr << "usage: HONGYAN_PASSWORD=... hello HOST:PORT MY-NAME THEIR-NAME\n";
    return 2;
  }
  auto store = hongyan::OpenFileStore(std::string("hello-") + argv[2]);
  if (!store.ok()) {
    std::cerr << store.error().text << "\n";
    return 1;
  }

  hongyan::Options options;
  options.address = argv[1];
  options.user_name = argv[2];
  options.password = password;
  options.store = *store;

  hongyan::Events events;  // they run on the SDK's thread
  events.on_message = [](const hongyan::Message& message) {
    if (const auto* text = std::get_if<hongyan::Text>(&message.body)) {
      std::cout << (message.own ? "me: " : "they: ") << text->text << std::endl;
    }
  };
  events.on_stopped = [](hongyan::StopReason, const std::string& why) { std::cerr << why << "\n"; };

  auto client = hongyan::Client::Open(options, events);
  if (!client.ok()) {
    std::cerr << client.error().text << "\n";
    return 1;
  }
  const auto peer = (*client)->FindUser(argv[3]).get();
  if (!peer.ok()) {
    std::cerr << peer.error().text << "\n";
    return 1;
  }
  const auto me = (*client)->GetStatus().me;
  const auto sent =
      (*client)
          ->Send(hongyan::Conversation::Between(me.id, peer->id), hongyan::Text{"hello"})
          .get();
  std::cout << (sent.ok() ? "stored by the server\n" : sent.error().text + "\n");
  std::this_thread::sleep_for(std::chrono::seconds(10));
  return sent.ok() ? 0 : 1;
}
