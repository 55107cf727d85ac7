package bank.ledger.json;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class JsonTest {
    @Test
    void readsEveryKindOfValue() throws JsonException {
        Json read = JsonReader.read(" {\"a\" : [ 1 , -0.5e+3, true,false , null,{ } ,[]],\"b\":\"\\u00e9\\n\\\"\\/\\ud83c\\udf0d\"}\r\n");
        Map<String, Json> members = new LinkedHashMap<>();
        members.put("a", new Json.Items(List.of(new Json.Number("1"), new Json.Number("-0.5e+3"), new Json.Bool(true),
            new Json.Bool(false), new Json.Null(), new Json.Members(Map.of()), new Json.Items(List.of()))));
        members.put("b", new Json.Text("é\n\"/🌍"));
        assertEquals(new Json.Members(members), read);
    }

    @Test
    void refusesWhatIsNotJson() {
        for (String text : List.of("", " ", "{", "[1,]", "{\"a\":1,}", "{a:1}", "{'a':1}", "01", "-", "+1", "1.", ".5", "1e", "0x1", "NaN",
            "tru", "truex", "nul", "\"", "\"\t\"", "\"\\x\"", "\"\\u12\"", "\"\\u١٢٣٤\"", "1 2", "[1 2]", "{\"a\" 1}", "\u00a01", "/**/1", "\"\\ud800\"", "\"\\udc00x\"")) {
            assertThrows(JsonException.class, () -> JsonReader.read(text), text);
        }
    }

    @Test
    void refusesANameThatComesTwice() {
        JsonException error = assertThrows(JsonException.class, () -> JsonReader.read("{\"amount\":1,\"\\u0061mount\":2}"));
        assertTrue(error.getMessage().contains("\"amount\" comes twice at character 12"), error.getMessage());
    }

    @Test
    void refusesBytesThatAreNotUtf8() {
        assertThrows(JsonException.class, () -> JsonReader.read(new byte[] {'"', (byte) 0xff, '"'}));
        assertThrows(JsonException.class, () -> JsonReader.read(new byte[] {'"', (byte) 0xc0, (byte) 0xaf, '"'})); // an overlong slash
    }

    @Test
    void refusesNestingThatCouldExhaustTheStack() throws JsonException {
        JsonReader.read("[".repeat(JsonReader.MAX_DEPTH) + "1" + "]".repeat(JsonReader.MAX_DEPTH));
        assertThrows(JsonException.class, () -> JsonReader.read("[".repeat(100_000)));
    }

    @Test
    void integersAreExactOrRefused() {
        assertEquals(Long.MAX_VALUE, new Json.Number("9223372036854775807").exactLong());
        assertEquals(Long.MIN_VALUE, new Json.Number("-9223372036854775808").exactLong());
        for (String literal : List.of("9223372036854775808", "1.0", "1e2", "1E2", "-9223372036854775809")) {
            assertThrows(ArithmeticException.class, () -> new Json.Number(literal).exactLong(), literal);
        }
    }

    @Test
    void writesWhatTheReaderReadsBack() throws JsonException {
        Map<String, Object> value = new LinkedHashMap<>();
        value.put("text", "quote \" slash \\ line \n tab \t bell \u0007 separator \u2028 earth 🌍");
        value.put("list", Arrays.asList(1, Long.MIN_VALUE, true, null));
        value.put("at", Instant.parse("2026-01-02T03:04:05.678901Z"));
        String written = JsonWriter.write(value);
        assertEquals(-1, written.indexOf('\n'));
        Json.Members read = (Json.Members) JsonReader.read(written.getBytes(StandardCharsets.UTF_8));
        assertEquals(new Json.Text((String) value.get("text")), read.members().get("text"));
        assertEquals(new Json.Items(List.of(new Json.Number("1"), new Json.Number("-9223372036854775808"), new Json.Bool(true), new Json.Null())),
            read.members().get("list"));
        assertEquals(new Json.Text("2026-01-02T03:04:05.678901Z"), read.members().get("at"));
    }

    @Test
    void writesNoFloatingPointNumbers() {
        assertThrows(IllegalArgumentException.class, () -> JsonWriter.write(Map.of("amount", 0.1)));
    }

    @Test
    void writesHalfASurrogatePairAsAnEscape() {
        assertEquals("\"a\\ud800b\"", JsonWriter.write("a\ud800b"));
    }
}
