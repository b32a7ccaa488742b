import { Driver } from '../../../fault/driver';
import { World } from '../../../sim/world';

test('what takes real time is waited for, however many turns it takes', async () => {
  const driver = new Driver(
    new World(),
    () => false,
    () => '',
    1000,
  );
  let ready = false;
  const work = new Promise((done) => setTimeout(done, 300)).then(() => {
    ready = true;
  });
  const prepared = driver.prepare(work);
  await driver.until(() => ready);
  expect(ready).toBe(true);
  await prepared;
  // And then nothing is left to happen.
  await driver.until(() => false);
  driver.stop();
});
