import { execFile } from 'node:child_process';
import http from 'node:http';
import { promisify } from 'node:util';
import { given, listen, say } from './processes';

/*
 * Somebody polite: asks with curl and with Node, in turns, each on a connection of its own and on one that is kept, until it is
 * told to stop. Says what it got, and, when asked, that it got an answer of each kind since.
 */

const { url } = given<{ url: string }>();
const run = promisify(execFile);
const keeping = new http.Agent({ keepAlive: true, maxSockets: 1 });
const answers: Record<string, number> = {};
let stopped = false;
let round = 0;
let asked: number | null = null;

const count = (who: string, answer: string): void => {
  const key = `${who}: ${answer}`;
  answers[key] = (answers[key] ?? 0) + 1;
};

function ask(agent: http.Agent | false): Promise<string> {
  return new Promise((resolve) => {
    const request = http.get(url, { agent, timeout: 30_000 }, (response) => {
      let body = '';
      response.setEncoding('latin1').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve(`${response.statusCode} ${body}`));
      response.on('error', (error) => resolve(error.message));
    });
    request.on('timeout', () => request.destroy(new Error('no answer within 30 s')));
    request.on('error', (error) => resolve(error.message));
  });
}

const curl = async (): Promise<string> => {
  const { stdout } = await run('curl', ['-sS', '-m', '30', '-w', ' %{http_code}', url]).catch((error: Error) => ({
    stdout: error.message,
  }));
  return stdout.trim();
};

async function main(): Promise<void> {
  for (; !stopped; round++) {
    count('curl', await curl());
    count('kept', await ask(keeping));
    count('new', await ask(false));
    if (round === 0) say('ready', null);
    // A round that began after it was asked for.
    if (asked !== null && round > asked) {
      asked = null;
      say('again', null);
    }
  }
  say('answers', answers);
}

listen((line) => {
  if (line === 'stop') stopped = true;
  if (line === 'again') asked = round;
});
void main();
