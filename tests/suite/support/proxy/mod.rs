//! What a network does to the connections between a program and PostgreSQL, exactly when a test says so.

mod conversation;

use std::{
    collections::BTreeSet,
    future,
    io::Error,
    net::SocketAddr,
    sync::{Arc, Mutex, mpsc as std_mpsc},
    thread,
};

use conversation::Conversation;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    runtime, select,
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinSet,
    try_join,
};
use url::Url;

use super::port::Port;

/// Passes connections on to a server, on a thread of its own: a test that waits for something else doesn't hold it up. What
/// a method orders has happened when it returns.
pub(crate) struct Proxy {
    addr: SocketAddr,
    server: Url,
    network: Arc<Network>,
    /// Each with whom to tell when it is done. The proxy ends with this.
    orders: mpsc::UnboundedSender<(Order, std_mpsc::Sender<()>)>,
}

#[derive(Clone, Copy)]
pub(crate) enum Direction {
    ToServer,
    ToClient,
}

/// What becomes of the statement that a connection is cut at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    /// The server never sees it.
    Unsent,
    /// The server has done it, and the client never hears that.
    Unanswered,
}

/// What a client finds after the connection was cut at a statement.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Afterwards {
    /// Its other connections, and new ones.
    Reachable,
    /// Nothing: all are cut, and new ones refused before the client notices.
    Gone,
}

/// A cut that was ordered for a later moment.
pub(crate) struct Cut(oneshot::Receiver<()>);

impl Cut {
    /// Waits until the connection is cut.
    pub(crate) async fn made(self) {
        self.0.await.expect("the proxy runs");
    }
}

impl Proxy {
    /// In front of the server of a URL.
    pub(crate) fn before(server: &str) -> Self {
        let server = Url::parse(server).unwrap();
        let port = Port::reserve().unwrap();
        let (host, server_port) = (server.host_str().unwrap(), server.port().unwrap_or(5432));
        let network = Arc::new(Network {
            server: format!("{host}:{server_port}"),
            stalled: watch::Sender::new([false; 2]),
            cuts: watch::Sender::new(()),
            armed: Mutex::new(None),
            said: Mutex::default(),
        });
        let (orders, taken) = mpsc::unbounded_channel();
        let proxy = Self {
            addr: port.addr(),
            server,
            network: Arc::clone(&network),
            orders,
        };
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(serve(&port, &network, taken));
        });
        proxy.accept();
        proxy
    }

    /// The URL of the server, by way of the proxy.
    pub(crate) fn url(&self) -> String {
        let mut url = self.server.clone();
        url.set_ip_host(self.addr.ip()).unwrap();
        url.set_port(Some(self.addr.port())).unwrap();
        url.into()
    }

    /// Breaks every connection at once. New ones are as before.
    pub(crate) fn cut(&self) {
        self.order(Order::Cut);
    }

    /// New connections find nobody listening. Those that are there stay.
    pub(crate) fn refuse(&self) {
        self.order(Order::Refuse);
    }

    /// Ends [`Self::refuse`].
    pub(crate) fn accept(&self) {
        self.order(Order::Accept);
    }

    /// Holds back, on every connection, what is sent in one direction from now on.
    pub(crate) fn stall(&self, direction: Direction) {
        self.network
            .stalled
            .send_modify(|stalled| stalled[direction as usize] = true);
    }

    /// Lets through what was held back and what comes.
    pub(crate) fn resume(&self) {
        self.network.stalled.send_replace([false; 2]);
    }

    /// Breaks the next connection on which a statement with this text in it runs, once. A `COMMIT` is one too. The
    /// connection must not use TLS, which hides its statements.
    pub(crate) fn cut_at(&self, statement: &'static str, fate: Fate, afterwards: Afterwards) -> Cut {
        let (made, cut) = oneshot::channel();
        *self.network.armed.lock().unwrap() = Some(Armed {
            statement,
            fate,
            afterwards,
            made,
        });
        Cut(cut)
    }

    /// The statements that clients have run, each once.
    pub(crate) fn said(&self) -> BTreeSet<String> {
        self.network.said.lock().unwrap().clone()
    }

    fn order(&self, order: Order) {
        let (done, wait) = std_mpsc::channel();
        self.orders.send((order, done)).expect("the proxy runs");
        wait.recv().expect("the proxy runs");
    }
}

enum Order {
    Accept,
    Refuse,
    Cut,
}

/// What all connections share.
struct Network {
    /// Host and port.
    server: String,
    /// By direction.
    stalled: watch::Sender<[bool; 2]>,
    /// Each change cuts every connection.
    cuts: watch::Sender<()>,
    armed: Mutex<Option<Armed>>,
    said: Mutex<BTreeSet<String>>,
}

/// A cut that waits for its statement.
struct Armed {
    statement: &'static str,
    fate: Fate,
    afterwards: Afterwards,
    made: oneshot::Sender<()>,
}

impl Network {
    /// Waits while the direction is stalled.
    async fn flows(&self, direction: Direction) {
        let mut stalled = self.stalled.subscribe();
        // An error would mean that the network is gone, which `self` is not.
        let _ = stalled.wait_for(|stalled| !stalled[direction as usize]).await;
    }

    /// The cut that a statement sets off. No other statement does afterwards.
    fn set_off(&self, statement: &str) -> Option<Armed> {
        let mut armed = self.armed.lock().unwrap();
        armed.take_if(|armed| statement.contains(armed.statement))
    }
}

async fn serve(
    port: &Port,
    network: &Arc<Network>,
    mut orders: mpsc::UnboundedReceiver<(Order, std_mpsc::Sender<()>)>,
) {
    let mut listener = None;
    let mut connections = JoinSet::new();
    loop {
        select! {
            order = orders.recv() => {
                let Some((order, done)) = order else { return };
                match order {
                    Order::Accept => {
                        listener.get_or_insert_with(|| listen(port));
                    }
                    Order::Refuse => listener = None,
                    Order::Cut => cut(network, &mut connections).await,
                }
                done.send(()).unwrap();
            }
            client = accepted(listener.as_ref()) => {
                let (network, cuts) = (Arc::clone(network), network.cuts.subscribe());
                connections.spawn(connection(client, network, cuts));
            }
            Some(ended) = connections.join_next() => {
                let Some((armed, sockets)) = ended.unwrap() else { continue };
                if armed.afterwards == Afterwards::Gone {
                    listener = None;
                    cut(network, &mut connections).await;
                }
                drop(sockets);
                // The test may not wait for it.
                let _ = armed.made.send(());
            }
        }
    }
}

fn listen(port: &Port) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(port.addr()).unwrap();
    socket.listen(1024).unwrap()
}

async fn accepted(listener: Option<&TcpListener>) -> TcpStream {
    match listener {
        Some(listener) => listener.accept().await.unwrap().0,
        None => future::pending().await,
    }
}

/// Returns when no connection is left.
async fn cut(network: &Network, connections: &mut JoinSet<Option<Broken>>) {
    network.cuts.send_replace(());
    while connections.join_next().await.is_some() {}
}

/// A connection that its statement has set off the cut of. It breaks when the sockets are dropped.
type Broken = (Armed, [TcpStream; 2]);

/// Serves one connection to its end.
async fn connection(
    mut client: TcpStream,
    network: Arc<Network>,
    mut cuts: watch::Receiver<()>,
) -> Option<Broken> {
    let mut server = TcpStream::connect(&network.server).await.ok()?;
    for socket in [&client, &server] {
        socket.set_nodelay(true).ok()?;
    }
    let ended = {
        let conversation = Mutex::default();
        let heard = Notify::new();
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let requests = requests(from_client, to_server, &conversation, &heard, &network);
        let answers = answers(from_server, to_client, &conversation, &heard, &network);
        select! {
            ended = async { try_join!(requests, answers) } => ended.err(),
            _ = cuts.changed() => Some(End::Cut(None)),
        }
    };
    let Some(End::Cut(armed)) = ended else {
        return None;
    };
    // Broken, and not closed in good order.
    for socket in [&client, &server] {
        socket.set_zero_linger().ok()?;
    }
    Some((armed?, [client, server]))
}

/// Why a connection is not passed on any longer.
enum End {
    /// One of the two has ended it.
    Closed,
    /// A test has it cut, at a statement or now.
    Cut(Option<Armed>),
}

impl From<Error> for End {
    fn from(_: Error) -> Self {
        Self::Closed
    }
}

/// Passes on whole messages, until the client ends the connection in good order.
async fn requests(
    mut client: ReadHalf<'_>,
    mut server: WriteHalf<'_>,
    conversation: &Mutex<Conversation>,
    heard: &Notify,
    network: &Network,
) -> Result<(), End> {
    let mut bytes = Vec::new();
    let mut cut = None;
    loop {
        let message = conversation.lock().unwrap().hear_client(&bytes);
        let Some(message) = message else {
            if client.read_buf(&mut bytes).await? == 0 {
                server.shutdown().await?;
                return Ok(());
            }
            continue;
        };
        network.flows(Direction::ToServer).await;
        let armed = message.runs.and_then(|sql| {
            let armed = network.set_off(&sql);
            network.said.lock().unwrap().insert(sql);
            armed
        });
        if let Some(armed) = armed {
            if armed.fate == Fate::Unsent {
                return Err(End::Cut(Some(armed)));
            }
            conversation.lock().unwrap().withheld = true;
            cut = Some(armed);
        }
        server.write_all(&bytes[..message.length]).await?;
        bytes.drain(..message.length);
        if message.asks && cut.is_some() {
            while !conversation.lock().unwrap().all_answered() {
                heard.notified().await;
            }
            return Err(End::Cut(cut));
        }
    }
}

/// Passes on whole messages, until the server ends the connection.
async fn answers(
    mut server: ReadHalf<'_>,
    mut client: WriteHalf<'_>,
    conversation: &Mutex<Conversation>,
    heard: &Notify,
    network: &Network,
) -> Result<(), End> {
    let mut bytes = Vec::new();
    loop {
        let (length, withheld) = {
            let mut conversation = conversation.lock().unwrap();
            (conversation.hear_server(&bytes), conversation.withheld)
        };
        let Some(length) = length else {
            if server.read_buf(&mut bytes).await? == 0 {
                return Err(End::Closed);
            }
            continue;
        };
        heard.notify_one();
        if !withheld {
            network.flows(Direction::ToClient).await;
            client.write_all(&bytes[..length]).await?;
        }
        bytes.drain(..length);
    }
}
