/**
 * Fault catalogue §3 over our stack, against a raw peer that puts every segment on the wire itself. The same rows run over
 * the kernel in test/interop/fault-truth.test.ts.
 */
import { portOf, SECTIONS, saidHere } from './truth';
import { VirtualTruth } from './truth/virtual-world';

for (const [s, [section, rows]] of Object.entries(SECTIONS).entries()) {
  describe(section, () => {
    for (const [r, row] of rows.entries()) {
      test(row.name, async () => {
        const world = new VirtualTruth(row.wire);
        try {
          expect(await row.run(world, portOf(s, r))).toEqual(saidHere(row));
        } finally {
          world.close();
        }
      });
    }
  });
}
