package bank.ledger.domain;

import bank.ledger.domain.Refusal.Code;
import java.util.Currency;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** The forms of what clients name. */
final class Names {
    private static final Pattern ID = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._:-]{0,63}");
    private static final Set<String> CURRENCIES =
        Currency.getAvailableCurrencies().stream().map(Currency::getCurrencyCode).collect(Collectors.toUnmodifiableSet());
    private static final int MAX_REFERENCE = 140; // as in SEPA's unstructured remittance information

    private Names() {}

    static String id(String field, String value) throws Refusal {
        if (!ID.matcher(value).matches()) {
            throw new Refusal(Code.INVALID_REQUEST, field + " must be 1 to 64 of A-Z a-z 0-9 . _ : -, the first a letter or a digit");
        }
        return value;
    }

    static String currency(String value) throws Refusal {
        if (!CURRENCIES.contains(value)) {
            throw new Refusal(Code.INVALID_REQUEST, "currency must be an ISO 4217 code such as EUR");
        }
        return value;
    }

    static String reference(String value) throws Refusal {
        if (value.codePointCount(0, value.length()) > MAX_REFERENCE) {
            throw new Refusal(Code.INVALID_REQUEST, "reference must be at most " + MAX_REFERENCE + " characters");
        }
        if (value.codePoints().anyMatch(c -> Character.isISOControl(c) || c == 0x2028 || c == 0x2029)) {
            throw new Refusal(Code.INVALID_REQUEST, "reference must not hold control characters or line breaks");
        }
        return value;
    }
}
