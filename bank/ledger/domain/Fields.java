package bank.ledger.domain;

import bank.ledger.domain.Refusal.Code;
import bank.ledger.json.Json;
import java.util.List;
import java.util.Map;

/** The members of a request's body, read one by one; a member that nobody knows is refused, since it may be a misspelling. */
final class Fields {
    private final Map<String, Json> members;

    private Fields(Map<String, Json> members) {
        this.members = members;
    }

    static Fields of(Json body, String... known) throws Refusal {
        if (!(body instanceof Json.Members object)) {
            throw invalid("the body must be a JSON object");
        }
        for (String name : object.members().keySet()) {
            if (!List.of(known).contains(name)) {
                throw invalid("unknown member " + (name.length() > 40 ? name.substring(0, 40) + "..." : name) + "; known are " + String.join(", ", known));
            }
        }
        return new Fields(object.members());
    }

    String text(String name) throws Refusal {
        if (members.get(name) instanceof Json.Text text) {
            return text.value();
        }
        throw invalid(name + (members.containsKey(name) ? " must be a string" : " is missing"));
    }

    String text(String name, String otherwise) throws Refusal {
        return members.containsKey(name) ? text(name) : otherwise;
    }

    boolean bool(String name, boolean otherwise) throws Refusal {
        if (!members.containsKey(name)) {
            return otherwise;
        }
        if (members.get(name) instanceof Json.Bool bool) {
            return bool.value();
        }
        throw invalid(name + " must be true or false");
    }

    long integer(String name) throws Refusal {
        if (!members.containsKey(name)) {
            throw invalid(name + " is missing");
        }
        if (members.get(name) instanceof Json.Number number) {
            try {
                return number.exactLong();
            } catch (ArithmeticException inexact) {
                throw invalid(name + " must be a 64-bit integer without fraction or exponent");
            }
        }
        throw invalid(name + " must be a number");
    }

    private static Refusal invalid(String detail) {
        return new Refusal(Code.INVALID_REQUEST, detail);
    }
}
