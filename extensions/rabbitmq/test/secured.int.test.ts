import { rabbitmqConnection } from "@event-driver/rabbitmq";

import { securedKit } from "../../../test/secured-kit.ts";
import { suiteWith } from "../../../test/services.ts";
import { toxicProxy } from "../../../test/toxic-proxy.ts";
import { forTests } from "./handles.ts";

const suite = await suiteWith("rabbitmq", "toxiproxy");

suite("RabbitMQ with TLS and a user", () => {
  securedKit({
    broker: "rabbitmq",
    open: ({ host, user, password, authority: ca, connectTimeout, logger }) =>
      rabbitmqConnection({
        url: `amqps://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}`,
        clientOptions: ca === undefined ? {} : { tls: { ca } },
        queueArguments: forTests,
        connectTimeout,
        logger,
      }),
    wayTo: (host) => toxicProxy(`amqps://${host}`),
  });
});
