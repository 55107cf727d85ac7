package bank.ledger.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class MigrationsTest {
    @Test
    void areInTheProgramAndNumberedWithoutGaps() {
        List<Migrations.Migration> all = Migrations.all();
        for (int i = 0; i < all.size(); i++) {
            assertEquals(i + 1, all.get(i).version(), all.get(i).name());
            assertTrue(all.get(i).sql().contains(";"), all.get(i).name() + " is empty");
            assertEquals(64, all.get(i).sha256().length());
        }
        assertTrue(all.size() >= 1);
    }
}
