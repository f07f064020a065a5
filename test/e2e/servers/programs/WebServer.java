// com.sun.net.httpserver: java WebServer.java PORT ROOT
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.concurrent.Executors;

public class WebServer {
  public static void main(String[] args) throws IOException {
    Path root = Path.of(args[1]);
    HttpServer server = HttpServer.create(new InetSocketAddress(Integer.parseInt(args[0])), 0);
    server.setExecutor(Executors.newFixedThreadPool(16));
    server.createContext("/", exchange -> sendFile(exchange, root));
    server.createContext("/who", exchange -> sendText(exchange, exchange.getRemoteAddress().getAddress().getHostAddress()));
    server.createContext("/digest", exchange -> sendText(exchange, digest(exchange)));
    server.start();
  }

  private static void sendFile(HttpExchange exchange, Path root) throws IOException {
    Path file = root.resolve(Path.of(exchange.getRequestURI().getPath()).getFileName());
    exchange.sendResponseHeaders(200, Files.size(file));
    try (exchange) {
      Files.copy(file, exchange.getResponseBody());
    }
  }

  private static String digest(HttpExchange exchange) throws IOException {
    try (InputStream body = exchange.getRequestBody()) {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      byte[] piece = new byte[65536];
      for (int length = body.read(piece); length >= 0; length = body.read(piece)) digest.update(piece, 0, length);
      return HexFormat.of().formatHex(digest.digest());
    } catch (GeneralSecurityException error) {
      throw new IOException(error);
    }
  }

  private static void sendText(HttpExchange exchange, String text) throws IOException {
    byte[] body = (text + "\n").getBytes();
    exchange.sendResponseHeaders(200, body.length);
    try (exchange) {
      exchange.getResponseBody().write(body);
    }
  }
}
