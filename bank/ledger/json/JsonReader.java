package bank.ledger.json;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads JSON as RFC 8259 says and nothing more. Where the RFC leaves a choice, this reader takes the strict one: a name
 * that comes twice, a lone surrogate and bytes that are not UTF-8 are errors, since two readers could otherwise take the
 * same order for different amounts.
 */
public final class JsonReader {
    /** Deeper nesting is refused, so that no body can exhaust the stack. */
    public static final int MAX_DEPTH = 32;

    private final String text;
    private int offset;

    private JsonReader(String text) {
        this.text = text;
    }

    /** Reads one value that is the whole of the bytes. */
    public static Json read(byte[] utf8) throws JsonException {
        try {
            return read(StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(utf8)).toString());
        } catch (CharacterCodingException notUtf8) {
            throw new JsonException("bytes that are not UTF-8", 0);
        }
    }

    /** Reads one value that is the whole of the text. */
    public static Json read(String text) throws JsonException {
        JsonReader reader = new JsonReader(text);
        reader.skipSpace();
        Json value = reader.value(0);
        reader.skipSpace();
        if (reader.offset < text.length()) {
            throw reader.unexpected("the end");
        }
        return value;
    }

    private Json value(int depth) throws JsonException {
        if (depth > MAX_DEPTH) {
            throw new JsonException("more than " + MAX_DEPTH + " levels", offset);
        }
        switch (peek()) {
            case '{':
                return members(depth);
            case '[':
                return items(depth);
            case '"':
                return new Json.Text(string());
            case 't':
                return word("true", new Json.Bool(true));
            case 'f':
                return word("false", new Json.Bool(false));
            case 'n':
                return word("null", new Json.Null());
            default:
                return number();
        }
    }

    private Json members(int depth) throws JsonException {
        Map<String, Json> members = new LinkedHashMap<>();
        offset++;
        skipSpace();
        if (peek() == '}') {
            offset++;
            return new Json.Members(Collections.unmodifiableMap(members));
        }
        while (true) {
            int nameAt = offset;
            if (peek() != '"') {
                throw unexpected("a name in quotes");
            }
            String name = string();
            skipSpace();
            expect(':');
            skipSpace();
            if (members.put(name, value(depth + 1)) != null) {
                throw new JsonException("the name \"" + name + "\" comes twice", nameAt);
            }
            skipSpace();
            if (peek() == ',') {
                offset++;
                skipSpace();
                continue;
            }
            expect('}');
            return new Json.Members(Collections.unmodifiableMap(members));
        }
    }

    private Json items(int depth) throws JsonException {
        List<Json> items = new ArrayList<>();
        offset++;
        skipSpace();
        if (peek() == ']') {
            offset++;
            return new Json.Items(List.of());
        }
        while (true) {
            items.add(value(depth + 1));
            skipSpace();
            if (peek() == ',') {
                offset++;
                skipSpace();
                continue;
            }
            expect(']');
            return new Json.Items(Collections.unmodifiableList(items));
        }
    }

    private String string() throws JsonException {
        int start = offset;
        offset++;
        StringBuilder value = new StringBuilder();
        while (true) {
            if (offset >= text.length()) {
                throw new JsonException("a string without its end", start);
            }
            char c = text.charAt(offset++);
            if (c == '"') {
                break;
            } else if (c == '\\') {
                value.append(escape());
            } else if (c < 0x20) {
                throw new JsonException("a control character in a string", offset - 1);
            } else {
                value.append(c);
            }
        }
        refuseLoneSurrogates(value, start);
        return value.toString();
    }

    private char escape() throws JsonException {
        char c = peek();
        offset++;
        switch (c) {
            case '"', '\\', '/':
                return c;
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'u':
                int code = 0;
                for (int i = 0; i < 4; i++, offset++) {
                    int digit = offset < text.length() ? hexDigit(text.charAt(offset)) : -1;
                    if (digit < 0) {
                        throw unexpected("four hexadecimal digits");
                    }
                    code = code * 16 + digit;
                }
                return (char) code;
            default:
                throw new JsonException("an unknown escape", offset - 2);
        }
    }

    // Character.digit would take digits of other scripts too.
    private static int hexDigit(char c) {
        if (c >= '0' && c <= '9') {
            return c - '0';
        }
        if (c >= 'a' && c <= 'f') {
            return c - 'a' + 10;
        }
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    }

    private static void refuseLoneSurrogates(CharSequence value, int start) throws JsonException {
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            if (Character.isHighSurrogate(c) && i + 1 < value.length() && Character.isLowSurrogate(value.charAt(i + 1))) {
                i++;
            } else if (Character.isSurrogate(c)) {
                throw new JsonException("half of a surrogate pair in a string", start);
            }
        }
    }

    private Json number() throws JsonException {
        int start = offset;
        if (peek() == '-') {
            offset++;
        }
        if (peek() == '0') {
            offset++;
        } else {
            digits();
        }
        if (offset < text.length() && text.charAt(offset) == '.') {
            offset++;
            digits();
        }
        if (offset < text.length() && (text.charAt(offset) == 'e' || text.charAt(offset) == 'E')) {
            offset++;
            if (peek() == '+' || peek() == '-') {
                offset++;
            }
            digits();
        }
        return new Json.Number(text.substring(start, offset));
    }

    private void digits() throws JsonException {
        int start = offset;
        while (offset < text.length() && text.charAt(offset) >= '0' && text.charAt(offset) <= '9') {
            offset++;
        }
        if (offset == start) {
            throw unexpected(offset == 0 ? "a value" : "a digit or a value");
        }
    }

    private Json word(String word, Json value) throws JsonException {
        if (!text.startsWith(word, offset)) {
            throw unexpected("a value");
        }
        offset += word.length();
        return value;
    }

    private void expect(char wanted) throws JsonException {
        if (peek() != wanted) {
            throw unexpected("'" + wanted + "'");
        }
        offset++;
    }

    private char peek() throws JsonException {
        if (offset >= text.length()) {
            throw new JsonException("the text ends too early", offset);
        }
        return text.charAt(offset);
    }

    private void skipSpace() {
        while (offset < text.length() && " \t\r\n".indexOf(text.charAt(offset)) >= 0) {
            offset++;
        }
    }

    private JsonException unexpected(String wanted) {
        String found = offset < text.length() ? "U+%04X".formatted(text.codePointAt(offset)) : "the end";
        return new JsonException("expected " + wanted + " but found " + found, offset);
    }
}
